/** The running stack: its keys, its processes, and what PostgreSQL has. */
import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

const root = new URL("../../../../../", import.meta.url).pathname;
const local = join(root, ".venv/bin/python");
export const PYTHON = process.env["OBC_PYTHON"] ?? (existsSync(local) ? local : "python3");

interface Note {
  ready: boolean;
  processes: Record<string, number>;
}

export const readNote = (folder: string): Note => JSON.parse(readFileSync(join(folder, "run.json"), "utf8")) as Note;

export class Stack {
  private readonly folder = process.env["OBC_STACK_FOLDER"]!;
  private readonly values = Object.fromEntries(
    readFileSync(join(this.folder, "demo.env"), "utf8").trim().split("\n").map((line) => line.split("=", 2)),
  ) as Record<string, string>;

  readonly url = this.values["OBC_URL"]!;
  readonly tenant = this.values["OBC_TENANT_ID"]!;
  readonly writeKey = this.values["OBC_WRITE_KEY"]!;
  readonly secretKey = this.values["OBC_SECRET_KEY"]!;

  /** `kill -9`; the supervisor starts it again. Answers when it has. */
  async kill(name: string): Promise<void> {
    const old = readNote(this.folder).processes[name]!;
    process.kill(old, "SIGKILL");
    while (readNote(this.folder).processes[name] === old) await new Promise((resolve) => setTimeout(resolve, 50));
  }

  /** How often each event of that name is stored, by its property `n`. */
  async stored(eventName: string): Promise<Map<number, number>> {
    const dsn = `postgresql://postgres@127.0.0.1:${process.env["OBC_STACK_POSTGRES"]}/analytics`;
    const script = new URL("stored_events.py", import.meta.url).pathname;
    const { stdout } = await promisify(execFile)(PYTHON, [script, dsn, eventName], { maxBuffer: 2 ** 26 });
    return new Map(JSON.parse(stdout) as [number, number][]);
  }

  /** Changes the tenant's rules. */
  async configure(change: object): Promise<void> {
    const headers = { Authorization: `Bearer ${this.secretKey}`, "Content-Type": "application/json" };
    const response = await fetch(`${this.url}/v1/config`, { method: "PATCH", headers, body: JSON.stringify({ config: change }) });
    if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
  }
}
