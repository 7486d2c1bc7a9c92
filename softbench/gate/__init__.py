"""Base against head: counts that must not change, times that must not grow, and the verdict."""
