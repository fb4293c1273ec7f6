"""What is looked at: each probe is a class that turns events of the run into rows of the record.

A probe names the signals it provides in `SIGNALS` (a test holds them against the table in record/signals.py) and
implements any of the events that the observer sends: see `observer.EVENTS`.
"""
