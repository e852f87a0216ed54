"""Write answers: as a table for people, as CSV, JSON, Parquet, XLSX and PDF for files. Nothing here asks a question.

    AnswerStream or SqlAnswer ─► writer(head, file) ─► begin · rows, rows, … · end

Each form is one module. A writer keeps no rows (but for the table and the PDF, which are for people), so a file may
have any number of them.
"""
