/** Wakes a reader that waits; rung while nobody waits, it is heard at once by who waits next. */
export class Bell {
  isRung = false;
  private wake: (() => void) | null = null;

  ring(): void {
    this.isRung = true;
    this.wake?.();
  }

  /** Before looking: what happens from now on rings again. */
  silence(): void {
    this.isRung = false;
  }

  /** Until it is rung, at most so long. */
  async heard(ms: number): Promise<void> {
    if (this.isRung) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms).unref();
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.wake = null;
  }
}
