"""Write answers: as a table for people, as CSV, JSON, Parquet, XLSX and PDF for files. No module here runs a query.

    AnswerStream or SqlAnswer ─► writer(head, file) ─► begin · rows, rows, … · end

Each form is one module. A writer keeps no rows in memory, so a file may have any number of them. The table and the PDF,
which are for people, are exceptions.
"""
