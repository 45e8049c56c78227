"""Instance states: which command is possible in which, and the errors."""
