"""Bind syntax trees to names and values, and evaluate them on items."""
