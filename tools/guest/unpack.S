/* Entry of the repacked kernel (tools/kernel.py): the 32-bit boot protocol's state becomes the
   64-bit one's, with 4 GiB mapped as they are; then the kernel is unpacked to where it was linked
   for, and begins. Position-independent: a loader may put it anywhere. */
#define MAPPED_GIB 4
#define AT(name) (name - start)(%ebp)

	.text
	.code32
	.globl start
start:
	jmp begin
	.balign 8
target:	.quad 0			/* these three are filled in by tools/kernel.py */
entry:	.quad 0
length:	.quad 0

begin:
	cli
	cld
	leal 0x1e8(%esi), %esp	/* the zero page, which %esi names, has room for this one call */
	call 1f
1:	popl %ebp
	subl $(1b - start), %ebp
	leal AT(gdt), %eax
	movl %eax, AT(gdt_pointer + 2)
	lgdt AT(gdt_pointer)
	movl $0x18, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	leal AT(stack_end), %esp

	leal AT(tables), %edi
	leal 0x1007(%edi), %eax	/* level 4: one entry */
	movl %eax, (%edi)
	movl $0, %ecx		/* level 3: one for each GiB */
2:	addl $0x1000, %eax
	movl %eax, 0x1000(%edi, %ecx, 8)
	incl %ecx
	cmpl $MAPPED_GIB, %ecx
	jne 2b
	movl $0x183, %eax	/* level 2: pages of 2 MiB */
	movl $0, %ecx
3:	movl %eax, 0x2000(%edi, %ecx, 8)
	addl $0x200000, %eax
	incl %ecx
	cmpl $(512 * MAPPED_GIB), %ecx
	jne 3b

	movl %cr4, %eax
	orl $0x20, %eax		/* PAE */
	movl %eax, %cr4
	movl %edi, %cr3
	movl $0xc0000080, %ecx	/* EFER.LME */
	rdmsr
	btsl $8, %eax
	wrmsr
	pushl $0x10
	leal AT(long_mode), %eax
	pushl %eax
	movl $0x80000001, %eax	/* paging and protection */
	movl %eax, %cr0
	lret

	.code64
long_mode:
	movl %esi, %ebx
	leaq payload(%rip), %rdi
	movq length(%rip), %rsi
	movq target(%rip), %rdx
	call unpack
	movq %rbx, %rsi
	jmpq *entry(%rip)

	.balign 8
gdt:	.quad 0, 0, 0x00af9a000000ffff, 0x00cf92000000ffff
gdt_pointer:
	.word . - gdt - 1
	.long 0
	.balign 16
	.skip 1024
stack_end:
	.section .tables, "aw"
	.balign 4096
tables:	.skip (2 + MAPPED_GIB) * 4096
payload:
