"""`python -m vision_ai` is the console command."""

from vision_ai.cli import main

if __name__ == "__main__":
    main()
