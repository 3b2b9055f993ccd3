"""The smear test: a gallery of people enrolled from poor images, searched with poor images."""
