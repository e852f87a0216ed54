"""Parts of the commands over the reports: their runs, the files that they write, the prompt, reports on Athena."""
