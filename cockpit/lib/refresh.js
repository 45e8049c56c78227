/** Repeats a piece of work while the page is looked at, and not at all otherwise. */

/**
 * What is repeated begins again a while after it has ended, so a slow answer is never overtaken by
 * the next question; `now()` does it at once, or after the one that runs.
 */
export class Refresh {
    /**
     * @param {() => Promise<void>} work - must not throw
     * @param {number} pause - milliseconds from the end of one to the begin of the next
     * @param {() => boolean} isHidden
     */
    constructor(work, pause, isHidden) {
        this.work = work;
        this.pause = pause;
        this.isHidden = isHidden;
        this.runs = false;
        this.again = false;
        /** @type {ReturnType<typeof setTimeout> | undefined} */
        this.timer = undefined;
    }

    /** The page was shown or hidden. */
    visibilityChanged() {
        if (this.isHidden())
            clearTimeout(this.timer);
        else
            void this.now();
    }

    async now() {
        clearTimeout(this.timer);
        if (this.runs) {
            this.again = true;
            return;
        }
        if (this.isHidden())
            return;
        this.runs = true;
        try {
            do {
                this.again = false;
                await this.work();
            } while (this.again && !this.isHidden());
        } finally {
            this.runs = false;
        }
        if (!this.isHidden())
            this.timer = setTimeout(() => void this.now(), this.pause);
    }
}
