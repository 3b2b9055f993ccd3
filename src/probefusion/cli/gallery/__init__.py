"""Commands on galleries, one file each; what several of them share lies beside them."""
