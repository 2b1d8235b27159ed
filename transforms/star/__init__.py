"""Staged rows to star tables: type 2 history, facts and marts, as pure functions from frame to frame."""
