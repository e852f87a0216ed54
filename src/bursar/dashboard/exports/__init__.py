"""Files that people download: in bounded memory, with their progress shown."""
