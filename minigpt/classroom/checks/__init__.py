"""One file per exercise: its right answer, its cases, its mistakes. What they are made of: ../exercise.py"""
