"""Coverage-guided fuzzing (atheris) of what reads hostile text: `make fuzz`, or one file with libFuzzer's own flags."""
