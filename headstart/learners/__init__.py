"""How a task is learned: three families behind one protocol. Families do not know each other."""
