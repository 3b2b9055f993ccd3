"""The fuser for every embedder with more constants, refitted on real poor faces and judged on other people."""
