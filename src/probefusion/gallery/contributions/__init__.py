"""What a person of a gallery is made of: contributions, their features, and their sum."""
