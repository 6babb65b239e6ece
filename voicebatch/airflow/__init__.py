"""The Airflow provider: voicebatch's use cases as operators, scheduled, retried and spread by Airflow.

What Airflow parses, serialises and shows is here; what is done is in ``voicebatch.app``, imported when a task runs.
"""
