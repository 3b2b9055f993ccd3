"""How the usability of templates was fitted, and how far it can be believed: people, films, pictures without a face."""
