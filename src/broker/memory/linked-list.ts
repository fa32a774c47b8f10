/** A list with O(1) removal anywhere, because cancelling one of a million waiting runs must not walk past the others. */

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

  /** Removing a node twice, or one of another list, changes nothing. */
  remove(node: ListNode<T>): void {
    if (node.owner !== this) return;
    if (node.previous === undefined) this.#first = node.next;
    else node.previous.next = node.next;
    if (node.next === undefined) this.#last = node.previous;
    else node.next.previous = node.previous;
    node.owner = undefined;
    this.#length -= 1;
  }

  *[Symbol.iterator](): Iterator<T> {
    for (let node = this.#first; node !== undefined; node = node.next) yield node.value;
  }

  /** From the last to the first. */
  *backwards(): Iterable<T> {
    for (let node = this.#last; node !== undefined; node = node.previous) yield node.value;
  }
}
