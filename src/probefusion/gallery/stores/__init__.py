"""Where a gallery lies: SQLite and PostgreSQL behind one interface, row by row."""
