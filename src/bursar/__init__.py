"""Bursar: a payment portal on DynamoDB that cannot charge a payer twice and answers finance's questions in SQL.

The rooms, from top to bottom: ``cli``, ``bootstrap``, ``settings``, ``dashboard``, ``portal``, ``reports``, ``paygov``,
``payments``, ``rules``, ``dynamo``, ``web``. Imports point down that list, never up. ARCHITECTURE.md is the map.
"""

__version__ = "0.1.0"
