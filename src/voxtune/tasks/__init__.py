"""What is asked of a scan: one class of several, findings each yes or no, numbers, or several of these together."""
