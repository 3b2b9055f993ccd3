"""Evaluation: fusers x protocol -> metrics -> tables and plots."""
