/**
 * A list with O(1) removal anywhere, because cancelling one of a million waiting runs must not walk past the others.
 *
 * Also for what comes and goes thousands of times a second: V8 gives a `Set` or `Map` a new table every few changes, and each
 * old table keeps a link to the next. Once one has grown old, all that ever stood in those after it outlives every scavenge.
 */

export interface ListNode<T> {
  readonly value: T;
  previous: ListNode<T> | undefined;
  next: ListNode<T> | undefined;
  /** Undefined once it is removed. */
  owner: LinkedList<T> | undefined;
}

export class LinkedList<T> implements Iterable<T> {
  #first: ListNode<T> | undefined;
  #last: ListNode<T> | undefined;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  get first(): T | undefined {
    return this.#first?.value;
  }

  pushBack(value: T): ListNode<T> {
    const node: ListNode<T> = { value, previous: this.#last, next: undefined, owner: this };
    if (this.#last === undefined) this.#first = node;
    else this.#last.next = node;
    this.#last = node;
    this.#length += 1;
    return node;
  }

  pushFront(value: T): ListNode<T> {
    const node: ListNode<T> = { value, previous: undefined, next: this.#first, owner: this };
    if (this.#first === undefined) this.#last = node;
    else this.#first.previous = node;
    this.#first = node;
    this.#length += 1;
    return node;
  }

  /** False for a node that is gone already, or of another list: nothing changes then. */
  remove(node: ListNode<T>): boolean {
    if (node.owner !== this) return false;
    if (node.previous === undefined) this.#first = node.next;
    else node.previous.next = node.next;
    if (node.next === undefined) this.#last = node.previous;
    else node.next.previous = node.previous;
    // A removed node that has grown old must not keep the young one that followed it.
    node.previous = undefined;
    node.next = undefined;
    node.owner = undefined;
    this.#length -= 1;
    return true;
  }

  /** From the first to the last. The one just seen may be removed meanwhile, no other. */
  *[Symbol.iterator](): Iterator<T> {
    let node = this.#first;
    while (node !== undefined) {
      const { value, next }: ListNode<T> = node;
      yield value;
      node = next;
    }
  }

  /** From the last to the first. */
  *backwards(): Iterable<T> {
    for (let node = this.#last; node !== undefined; node = node.previous) yield node.value;
  }
}
