"""What the account holds, owes and has done, as tables of records."""
