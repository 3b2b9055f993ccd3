"""Can the fuser for every embedder be made better on real poor faces? Its rule with more constants, refitted and judged."""
