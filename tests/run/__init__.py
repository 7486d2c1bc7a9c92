"""Tests of the run; a package so that its conftest and helpers have names of their own."""
