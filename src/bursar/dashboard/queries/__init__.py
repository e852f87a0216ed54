"""The questions of the pages to the reports room, in SQL.

Every statement is limited to the payments that the account may see.
"""
