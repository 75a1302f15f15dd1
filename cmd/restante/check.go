// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

type checkCommand struct {
	placeFlags
}

// Help is shown below the flags.
func (*checkCommand) Help() string { return "Example: restante check-config" }

// Run reads the file and says what is wrong with it.
func (k *checkCommand) Run(c *console) error {
	list, err := k.load(c)
	if err != nil {
		return err
	}
	if len(list) == 1 {
		c.say("1 account, nothing wrong.")
		return nil
	}
	c.say("%d accounts, nothing wrong.", len(list))
	return nil
}
