"""Files of archives on this machine or behind a url: read, written whole or not at all, locked, recognised."""
