"""The web console of `bursar dynamo --console`: pages over the tables of one engine, in the process that serves it."""
