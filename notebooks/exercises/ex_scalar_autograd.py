# ---
# title: Autograd for single numbers
# level: 3
# minutes: 60
# points: 9
# notebook: 02_backward
# ---

# %% [markdown]
# The engine that trains every network fits on one page, if the things that flow through it are single numbers. Write
# it. Your class is a number that remembers what it was made of:
#
# ```text
# data     the number
# inputs   the Values it was made of; none for a leaf
# slopes   for each input: by how much data grows when that input grows by 1 (the local derivative)
# grad     by how much the final result grows when data grows by 1; 0.0 at first
# ```
#
# Three operations will do:
#
# ```text
# y = a + b        slopes 1 and 1
# y = a * b        slopes b and a
# y = tanh(a)      slope  1 - y²
# ```
#
# And `backward()`, called on the result: it gets grad 1.0 (it grows by 1 when it grows by 1), then every number hands
# its inputs their share,
#
# ```text
# x.grad  +=  slope of x * self.grad
# ```
#
# Two rules make it right. **Shares add up**: what is used twice gets two. **Nobody hands on before everything has come
# in**: each number comes after all the numbers that were made of it.
#
# An example. a = 2, b = 3, d = a * b = 6, result = d + d * a = 18. The slopes of the last sum are 1 and 1, so d has
# got 1, and the product d * a has got 1. The product hands d its slope a = 2: d.grad = 1 + 2 = 3. Only now may d hand
# on: a gets 3 * b = 9, and from the product directly d = 6, together 15; b gets 3 * a = 6. (Check it: the result is
# ab + a²b, its derivative by a is b + 2ab = 3 + 12 = 15, by b a + a² = 6.)
#
# The check gives a point for the values alone: write the three operations first, then `backward`.

# %% [markdown]
# <details><summary>Hint 1: a new number</summary>
#
# `Value(result, inputs, slopes)`, where inputs and slopes are tuples of the same length. For tanh they have one element
# each: `(self,)`.
# </details>
#
# <details><summary>Hint 2: the order</summary>
#
# Write all numbers into a list, each one after its inputs (and only once; `id(x)` can go into a set). Run through the
# list from its end: a number then comes after everything that was made of it.
# </details>
#
# <details><summary>Hint 3: the list without recursion</summary>
#
# A function that calls itself for each input breaks on a chain of more than 1000 numbers. Keep a list of pairs (number,
# whether its inputs are in the list already). Take the last pair; if its inputs are in, append the number to the
# result; if not, put the pair back with True, and its inputs on top with False.
# </details>

# %%
import math

import minigpt as mg


# %% nbgrader={"solution": true, "grade_id": "scalar_autograd"}
class Value:
    """A number that knows what it was made of, and by which slopes."""

    def __init__(self, data, inputs=(), slopes=()):
        self.data = data
        self.inputs = inputs
        self.slopes = slopes
        self.grad = 0.0

    def __add__(self, other):
        ### BEGIN SOLUTION: a new Value of the sum, with its two inputs and their slopes
        return Value(self.data + other.data, (self, other), (1.0, 1.0))
        ### END SOLUTION

    def __mul__(self, other):
        ### BEGIN SOLUTION: a new Value of the product, with its two inputs and their slopes
        return Value(self.data * other.data, (self, other), (other.data, self.data))
        ### END SOLUTION

    def tanh(self):
        ### BEGIN SOLUTION: a new Value of math.tanh, with its input and its slope
        y = math.tanh(self.data)
        return Value(y, (self,), (1 - y * y,))
        ### END SOLUTION

    def backward(self):
        """Give everything that self was made of its share of the gradient."""
        ### BEGIN SOLUTION: order all numbers, give self the grad 1.0, let each one hand its inputs their share
        order, seen, todo = [], set(), [(self, False)]
        while todo:
            node, inputs_are_in = todo.pop()
            if inputs_are_in:
                order.append(node)
            elif id(node) not in seen:
                seen.add(id(node))
                todo.append((node, True))
                todo.extend((x, False) for x in node.inputs)
        self.grad = 1.0
        for node in reversed(order):
            for x, slope in zip(node.inputs, node.slopes, strict=True):
                x.grad += slope * node.grad
        ### END SOLUTION


# %% [markdown]
# Try it on the example above: the result 18, and gradients 15 and 6.

# %%
a, b = Value(2.0), Value(3.0)
d = a * b
result = d + d * a
result.backward()
print(result.data, a.grad, b.grad)

# %% nbgrader={"grade": true, "grade_id": "scalar_autograd-check"}
mg.classroom.check("scalar_autograd", Value)
### BEGIN HIDDEN TESTS
mg.classroom.check("scalar_autograd", Value, seed=20)
### END HIDDEN TESTS
