"""Fast paths that compute exactly what a mechanism's plain maths computes."""
