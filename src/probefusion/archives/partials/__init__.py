"""What a task makes of its rows: sums or rows of each person, in buckets."""
