"""How well strangers in a person's images are found: expectations measured on some people, judged on others."""
