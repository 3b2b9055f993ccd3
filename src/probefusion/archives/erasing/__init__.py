"""People and images taken out of rows, stored states and templates."""
