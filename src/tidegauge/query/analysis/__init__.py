"""What spans tell: where a trace's time went, how two traces or periods differ, how services behave. Pure, but for the use cases.

``self_time.py`` and ``critical_path.py`` look at one trace, ``trees.py`` at two, ``periods.py`` at two sets of rates; ``use_cases.py``
reads what they need.
"""
