"""Reports: everything that becomes a page, a table or a plot."""
