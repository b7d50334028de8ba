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

export interface StoredEvent {
  name: string;
  category: string;
  url: string;
  properties: Record<string, unknown>;
}

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

  /** Stops a process where it is: it takes what it is sent and answers nothing, until it is killed. */
  pause(name: string): void {
    process.kill(readNote(this.folder).processes[name]!, "SIGSTOP");
  }

  /** What PostgreSQL answers, one list per row. */
  async ask<Row extends unknown[]>(query: string, ...values: string[]): Promise<Row[]> {
    const dsn = `postgresql://postgres@127.0.0.1:${process.env["OBC_STACK_POSTGRES"]}/analytics`;
    const script = new URL("ask_postgres.py", import.meta.url).pathname;
    const { stdout } = await promisify(execFile)(PYTHON, [script, dsn, query, ...values], { maxBuffer: 2 ** 26 });
    return JSON.parse(stdout) as Row[];
  }

  /** How often each event of that name is stored, by its property `n`. */
  async stored(eventName: string): Promise<Map<number, number>> {
    const query = "SELECT (properties->>'n')::int, count(*) FROM analytics_events WHERE event_name = $1 GROUP BY 1";
    return new Map(await this.ask<[number, number]>(query, eventName));
  }

  /** Everything that is stored of a user, in the order of time; those of one millisecond are in none. */
  async storedOf(user: string): Promise<StoredEvent[]> {
    const query =
      "SELECT event_name, event_category, page_url, properties::text FROM analytics_events WHERE user_id = $1 ORDER BY event_time, event_id";
    const rows = await this.ask<[string, string, string, string]>(query, user);
    return rows.map(([name, category, url, properties]) => ({ name, category, url, properties: JSON.parse(properties) as StoredEvent["properties"] }));
  }

  /** Rows, good or bad, that have this text anywhere. */
  async mentions(text: string): Promise<number> {
    const query =
      "SELECT (SELECT count(*) FROM analytics_events e WHERE strpos(e::text, $1) > 0) + (SELECT count(*) FROM bad_rows b WHERE strpos(b::text, $1) > 0 OR strpos(encode(b.body, 'escape'), $1) > 0)";
    const [[count]] = (await this.ask<[number]>(query, text)) as [[number]];
    return count;
  }

  /** Changes the tenant's rules. */
  async configure(change: object): Promise<void> {
    const headers = { Authorization: `Bearer ${this.secretKey}`, "Content-Type": "application/json" };
    const response = await fetch(`${this.url}/v1/config`, { method: "PATCH", headers, body: JSON.stringify({ config: change }) });
    if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
  }
}
