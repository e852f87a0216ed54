"""The questions of the pages to the reports room, in SQL. Every statement is limited to what the account may see."""
