"""What each command does, between the reading of its words and the printing of its result."""
