"""What the screening of sets rests on: how usability was fitted, and how far it can be believed."""
