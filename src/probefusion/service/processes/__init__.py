"""Processes of a service: one, or several that are begun anew when they die."""
