"""Lectures that repeat, over the API: series, lectures, days off, imports."""
