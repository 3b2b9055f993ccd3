"""Exact search among templates in memory."""
