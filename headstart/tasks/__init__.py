"""Where tasks come from: a user's files, and generators that need none."""
