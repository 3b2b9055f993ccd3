"""What the processes of a service share: sessions, answers that were given, rates."""
