; A guest with nothing but a serial port: real mode, one CPU, no firmware.
;
; It treats the 16550A at 0x3f8 as an operating system's driver does: probes it, sets divisor and FIFO, prints a
; boot log by polling, then moves to IRQ 4 and serves a prompt by interrupt in both directions.
;
; Assemble:   nasm -f bin -o guest.bin guest.asm
; Load:       physical 0x1000, CS:IP = 0000:1000, every segment 0, interrupts off.
; Uses:       IVT at 0, stack below 0x1000, variables and rings after the image.
; Machine:    8259 pair at 0x20 and 0xa0, port 0x64 for reset (0xfe), port 0x604 for power-off (word 0x2000).
;
; The scripted guest of the example VMM (vmm/scripted.rs) prints the same and obeys the same commands; the
; end-to-end tests hold the two together.

        cpu     386
        bits    16
        org     0x1000

; 16550A, by offset (DLL and DLM while LCR.7 is set)
RBR     equ     0x3f8           ; read: receive buffer
THR     equ     0x3f8           ; write: transmit holding
DLL     equ     0x3f8
IER     equ     0x3f9
DLM     equ     0x3f9
IIR     equ     0x3fa           ; read
FCR     equ     0x3fa           ; write
LCR     equ     0x3fb
MCR     equ     0x3fc
LSR     equ     0x3fd
MSR     equ     0x3fe
SCR     equ     0x3ff

IER_RDI equ     0x01            ; received data
IER_THRI equ    0x02            ; transmitter empty
IER_RLSI equ    0x04            ; line status
LSR_DR  equ     0x01
LSR_BI  equ     0x10
LSR_THRE equ    0x20
FIFO    equ     16              ; bytes that one THRE makes room for

PIC1    equ     0x20
PIC2    equ     0xa0
VECTOR4 equ     0x24            ; IRQ 4 with the master's base at 0x20

LINE_MAX equ    120             ; bytes of a typed line that are kept
RING    equ     256             ; each ring; its indices are single bytes, which wrap by themselves
FLOOD_LINE equ  64

start:
        cli
        cld
        xor     ax, ax
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        mov     sp, 0x1000
        mov     di, variables
        mov     cx, variables_end - variables
        rep stosb

; ---- boot: probe, set up, print by polling ------------------------------------------------------------------

        call    set_format
        mov     si, msg_banner
        call    print
        mov     si, msg_probe
        call    print

        mov     di, probes
.next_probe:
        mov     si, msg_probe_line
        call    print
        mov     si, [di]        ; its name
        call    print
        call    [di + 2]        ; carry set: the port is not what it should be
        mov     si, msg_ok
        jnc     .result
        mov     si, msg_bad
.result:
        call    print
        add     di, 4
        cmp     di, probes_end
        jb      .next_probe

        call    set_format      ; the probes have changed most registers
        mov     si, msg_format
        call    print
        call    set_interrupts
        mov     si, msg_interrupts
        call    print
        mov     si, msg_ready
        call    print

        mov     dx, MCR         ; open: DTR, RTS and OUT2, which lets interrupts out
        mov     al, 0x0b
        out     dx, al
        mov     byte [ier], IER_RDI | IER_RLSI
        call    write_ier
        sti
        call    prompt

; ---- the prompt, by interrupt -------------------------------------------------------------------------------

main:
        cli                     ; sti and hlt are one step: nothing can slip between the look and the sleep
        cmp     byte [breaks], 0
        jne     .on_break
        mov     al, [rx_tail]
        cmp     al, [rx_head]
        jne     .on_byte
        sti
        hlt
        jmp     main
.on_break:
        dec     byte [breaks]
        sti
        mov     byte [line_len], 0
        mov     si, msg_break
        call    say
        call    prompt
        jmp     main
.on_byte:
        sti
        call    take_byte
        call    type_byte
        call    kick
        jmp     main

; AL = the oldest received byte. Receiving is switched on again once the ring is half empty.
take_byte:
        movzx   bx, byte [rx_tail]
        mov     al, [rx_ring + bx]
        inc     byte [rx_tail]
        test    byte [ier], IER_RDI
        jnz     .done
        mov     ah, [rx_head]
        sub     ah, [rx_tail]
        cmp     ah, RING / 2
        ja      .done
        cli
        or      byte [ier], IER_RDI
        call    write_ier
        sti
.done:
        ret

; One typed byte: edits the line, or runs it.
type_byte:
        mov     ah, [last_byte]
        mov     [last_byte], al
        cmp     al, 13
        je      run_line
        cmp     al, 10
        jne     .not_lf
        cmp     ah, 13          ; CR LF is one line end
        jne     run_line
        ret
.not_lf:
        cmp     al, 8
        je      .backspace
        cmp     al, 127
        je      .backspace
        cmp     al, 3           ; ^C and ^U forget the line
        je      .forget
        cmp     al, 21
        je      .forget
        cmp     al, 32
        jb      .ignore
        movzx   bx, byte [line_len]
        cmp     bx, LINE_MAX
        jae     .full
        mov     [line + bx], al
        inc     byte [line_len]
        jmp     put
.full:
        mov     al, 7
        jmp     put
.backspace:
        cmp     byte [line_len], 0
        je      .ignore
        dec     byte [line_len]
        mov     si, msg_rubout
        jmp     say
.forget:
        mov     byte [line_len], 0
        mov     si, msg_newline
        call    say
        jmp     prompt
.ignore:
        ret

run_line:
        mov     si, msg_newline
        call    say
        movzx   bx, byte [line_len]
        mov     byte [line + bx], 0
        mov     di, commands
.try:
        mov     si, line
        mov     bx, [di]        ; the command's name
.compare:
        mov     al, [bx]
        test    al, al
        jz      .name_ends
        cmp     al, [si]
        jne     .another
        inc     bx
        inc     si
        jmp     .compare
.name_ends:
        mov     al, [si]        ; the word must end where the name does
        test    al, al
        jz      .found
        cmp     al, ' '
        je      .found
.another:
        add     di, 4
        cmp     di, commands_end
        jb      .try
        call    sum_line
        cmp     byte [line_len], 0
        je      .done
        cmp     byte [line], '#'
        je      .done           ; a comment: summed, and not answered
        mov     si, msg_unknown
        call    say
        jmp     .done
.found:
        cmp     word [di + 2], do_sum
        je      .no_sum         ; the line that asks is not part of the sum
        push    si
        push    di
        call    sum_line
        pop     di
        pop     si
.no_sum:
        call    [di + 2]        ; SI = what follows the name
.done:
        mov     byte [line_len], 0
prompt:
        mov     si, msg_prompt
        call    say
        jmp     kick

; Adds the line and a LF to the sum that `sum` reports: the 16-bit rotating sum of `sum -r`.
sum_line:
        movzx   cx, byte [line_len]
        mov     si, line
        mov     dx, [typed_sum]
        jcxz    .end
.next:
        lodsb
        call    sum_byte
        loop    .next
.end:
        mov     al, 10
        call    sum_byte
        mov     [typed_sum], dx
        movzx   eax, byte [line_len]
        inc     eax
        add     [typed_count], eax
        ret

; DX = DX rotated right by one, plus AL.
sum_byte:
        ror     dx, 1
        mov     ah, 0
        add     dx, ax
        ret

; ---- commands -----------------------------------------------------------------------------------------------

do_help:
        mov     si, msg_help
        jmp     say

do_sum:
        mov     si, msg_sum
        call    say
        movzx   eax, word [typed_sum]
        call    say_number
        mov     si, msg_of
        call    say
        mov     eax, [typed_count]
        call    say_number
        mov     si, msg_bytes_end
        call    say
        mov     word [typed_sum], 0
        mov     dword [typed_count], 0
        ret

do_reset:
        mov     si, msg_reset
        call    say
        call    flush
        mov     al, 0xfe
        out     0x64, al
        jmp     hang

do_halt:
        mov     si, msg_halt
        call    say
        call    flush
        mov     dx, 0x604
        mov     ax, 0x2000
        out     dx, ax
hang:
        cli
        hlt
        jmp     hang

; flood N: through the ring, by interrupt. poll N: LSR, then up to 16 THR. burst N: LSR, then `rep outsb`.
; A line is "0000002a ABC...Zabc...z." CR LF, 64 bytes, numbered in hexadecimal: a byte lost or repeated anywhere
; shows, and where. Few instructions a byte: where KVM has to emulate real mode, each costs as much as a port access.
do_flood:
        mov     word [flood_way], send_by_interrupt
        jmp     flood
do_poll:
        mov     word [flood_way], send_by_polling
        jmp     flood
do_burst:
        mov     word [flood_way], send_by_string
flood:
        call    parse_number
        jc      .bad
        call    flush           ; what the ring still holds comes first
        mov     [flood_count], eax
        mov     ebp, eax        ; bytes to go
        mov     dword [flood_text], '0000'
        mov     dword [flood_text + 4], '0000'
        mov     si, flood_text
.next:
        test    ebp, ebp
        jz      .done
        mov     ecx, FIFO
        cmp     ebp, ecx
        jae     .send
        mov     ecx, ebp
.send:
        sub     ebp, ecx
        call    [flood_way]
        cmp     si, flood_text + FLOOD_LINE
        jb      .next
        mov     si, flood_text
        mov     bx, flood_text + 7
.digit:
        inc     byte [bx]
        cmp     byte [bx], '9' + 1
        je      .letter
        cmp     byte [bx], 'f' + 1
        jne     .next
        mov     byte [bx], '0'
        dec     bx
        jmp     .digit
.letter:
        mov     byte [bx], 'a'
        jmp     .next
.done:
        mov     si, msg_flood
        call    say
        mov     eax, [flood_count]
        call    say_number
        mov     si, msg_bytes_end
        jmp     say
.bad:
        mov     si, msg_number
        jmp     say

; The three ways: send CX bytes, at most 16, from SI on.
send_by_interrupt:
        mov     al, [tx_head]
        sub     al, [tx_tail]
        cmp     al, RING - 1 - FIFO
        jbe     .room
        call    wait_room
.room:
        movzx   di, byte [tx_head]
        mov     ax, RING        ; the part before the ring's end, then the part after it
        sub     ax, di
        add     [tx_head], cl
        add     di, tx_ring
        cmp     cx, ax
        jbe     .copy
        sub     cx, ax
        xchg    ax, cx
        rep movsb
        mov     cx, ax
        mov     di, tx_ring
.copy:
        rep movsb
        ret

send_by_polling:
        call    wait_thre
        mov     dx, THR
.send:
        outsb
        loop    .send
        ret

send_by_string:
        call    wait_thre
        mov     dx, THR
        rep outsb
        ret

; EAX = the decimal number after the spaces at SI. Carry: there is none, or something follows it.
parse_number:
        cmp     byte [si], ' '
        jne     .digits
        inc     si
        jmp     parse_number
.digits:
        xor     eax, eax
        cmp     byte [si], 0
        je      .bad
.next:
        movzx   ecx, byte [si]
        inc     si
        test    cl, cl
        jz      .good
        sub     cl, '0'
        cmp     cl, 9
        ja      .bad
        cmp     eax, 99999999   ; nine digits at most
        ja      .bad
        imul    eax, eax, 10
        add     eax, ecx
        jmp     .next
.good:
        clc
        ret
.bad:
        stc
        ret

; ---- output by interrupt ------------------------------------------------------------------------------------

; Queues the text at SI up to its 0.
say:
        lodsb
        test    al, al
        jz      .done
        call    put
        jmp     say
.done:
        ret

; Queues EAX in decimal.
say_number:
        mov     ebx, 10
        xor     cx, cx
.divide:
        xor     edx, edx
        div     ebx
        push    dx
        inc     cx
        test    eax, eax
        jnz     .divide
.digit:
        pop     ax
        add     al, '0'
        push    cx
        call    put
        pop     cx
        loop    .digit
        ret

; Queues AL; sleeps if the ring is full.
put:
        mov     bl, [tx_head]
        inc     bl
        cmp     bl, [tx_tail]
        je      .full
        movzx   bx, byte [tx_head]
        mov     [tx_ring + bx], al
        inc     byte [tx_head]
        ret
.full:
        call    wait_room
        jmp     put

; Starts the transmitter and sleeps until half of the ring is free.
wait_room:
        call    kick
.look:
        cli
        mov     bl, [tx_head]
        sub     bl, [tx_tail]
        cmp     bl, RING / 2
        jbe     .done
        sti
        hlt
        jmp     .look
.done:
        sti
        ret

; Starts the transmitter if there is something queued: IER.1 going 0 to 1 raises the interrupt.
kick:
        cli
        mov     bl, [tx_head]
        cmp     bl, [tx_tail]
        je      .done
        test    byte [ier], IER_THRI
        jnz     .done
        or      byte [ier], IER_THRI
        call    write_ier
.done:
        sti
        ret

; Sleeps until everything queued has been sent.
flush:
        call    kick
.wait:
        cli
        mov     bl, [tx_head]
        cmp     bl, [tx_tail]
        je      .done
        sti
        hlt
        jmp     .wait
.done:
        sti
        ret

; ---- the interrupt ------------------------------------------------------------------------------------------

irq4:
        push    ax
        push    bx
        push    cx
        push    dx
        push    si
.again:
        mov     dx, IIR         ; one cause at a time until there is none: the line is low again before the EOI
        in      al, dx
        test    al, 1
        jnz     .done
        and     al, 0x0e
        cmp     al, 0x02
        je      .transmit
        test    al, 0x04        ; 4 data, 12 timeout, 6 line status: all answered from LSR
        jnz     .receive
        mov     dx, MSR
        in      al, dx
        jmp     .again

.receive:
        mov     dx, LSR
        in      al, dx
        test    al, LSR_DR
        jz      .again
        mov     bl, [rx_head]
        inc     bl
        cmp     bl, [rx_tail]
        je      .no_room
        mov     ah, al
        mov     dx, RBR
        in      al, dx
        test    ah, LSR_BI
        jnz     .break
        movzx   bx, byte [rx_head]
        mov     [rx_ring + bx], al
        inc     byte [rx_head]
        jmp     .receive
.break:
        cmp     byte [breaks], 255
        je      .receive
        inc     byte [breaks]
        jmp     .receive
.no_room:
        and     byte [ier], ~IER_RDI    ; the rest waits in the FIFO, and behind it at the host
        call    write_ier
        jmp     .again

.transmit:
        mov     al, [tx_head]   ; CX = what is queued, up to 16, up to the ring's end
        sub     al, [tx_tail]
        jz      .sent_all
        movzx   si, byte [tx_tail]
        mov     cx, RING
        sub     cx, si
        cmp     cx, FIFO
        jbe     .within_ring
        mov     cx, FIFO
.within_ring:
        cmp     cl, al
        jbe     .within_queue
        mov     cl, al
.within_queue:
        add     [tx_tail], cl
        add     si, tx_ring
        mov     dx, THR
.send:
        outsb
        loop    .send
        jmp     .again
.sent_all:
        and     byte [ier], ~IER_THRI
        call    write_ier
        jmp     .again

.done:
        mov     al, 0x20        ; end of interrupt
        out     PIC1, al
        pop     si
        pop     dx
        pop     cx
        pop     bx
        pop     ax
        iret

; IER from its copy. Interrupts are off.
write_ier:
        push    ax
        push    dx
        mov     al, [ier]
        mov     dx, IER
        out     dx, al
        pop     dx
        pop     ax
        ret

; ---- port and controller ------------------------------------------------------------------------------------

; 115200 8n1, FIFO on and empty at trigger level 8, no interrupt enabled, not open yet.
set_format:
        mov     si, .values
        mov     cx, .values_end - .values
.next:
        lodsb                   ; offset
        movzx   dx, al
        add     dx, RBR
        lodsb                   ; value
        out     dx, al
        dec     cx
        loop    .next
        ret
.values:
        db      3, 0x80, 0, 1, 1, 0     ; DLAB; divisor 1
        db      3, 0x03, 1, 0           ; 8n1; IER 0
        db      2, 0x87, 4, 0
.values_end:

set_interrupts:
        mov     word [VECTOR4 * 4], irq4
        mov     word [VECTOR4 * 4 + 2], 0
        mov     al, 0x11        ; ICW1: edge, cascade, ICW4 follows
        out     PIC1, al
        out     PIC2, al
        mov     al, 0x20        ; ICW2: vector bases
        out     PIC1 + 1, al
        mov     al, 0x28
        out     PIC2 + 1, al
        mov     al, 4           ; ICW3: the slave is on line 2
        out     PIC1 + 1, al
        mov     al, 2
        out     PIC2 + 1, al
        mov     al, 1           ; ICW4: 8086
        out     PIC1 + 1, al
        out     PIC2 + 1, al
        mov     al, 0xef        ; all masked but IRQ 4
        out     PIC1 + 1, al
        mov     al, 0xff
        out     PIC2 + 1, al
        ret

; Prints the text at SI by polling.
print:
        lodsb
        test    al, al
        jz      .done
        mov     ah, al
        call    wait_thre
        mov     al, ah
        mov     dx, THR
        out     dx, al
        jmp     print
.done:
        ret

wait_thre:
        push    ax
        mov     dx, LSR
.poll:
        in      al, dx
        test    al, LSR_THRE
        jz      .poll
        pop     ax
        ret

; ---- probes: carry set if the port is not a 16550A ----------------------------------------------------------

; Writes AH to the register at DX and compares.
write_and_compare:
        mov     al, ah
        out     dx, al
        in      al, dx
        cmp     al, ah
        ret

probe_scratch:
        mov     dx, SCR
        mov     ah, 0x5a
        call    write_and_compare
        jne     fail
        mov     ah, 0xa5
        call    write_and_compare
        jne     fail
        clc
        ret

probe_ier:
        mov     dx, IER
        mov     ah, 0x0f
        call    write_and_compare
        jne     fail
        mov     al, 0xff        ; its upper half does not exist
        out     dx, al
        in      al, dx
        cmp     al, 0x0f
        jne     fail
        mov     ah, 0
        call    write_and_compare
        jne     fail
        clc
        ret

probe_loopback:
        mov     dx, MCR         ; LOOP, OUT2 and RTS show as DCD and CTS
        mov     al, 0x1a
        out     dx, al
        mov     dx, MSR
        in      al, dx
        and     al, 0xf0
        cmp     al, 0x90
        jne     fail
        mov     dx, MCR
        mov     al, 0
        out     dx, al
        clc
        ret

probe_fifo:
        mov     dx, FCR
        mov     al, 0x01
        out     dx, al
        mov     dx, IIR
        in      al, dx
        and     al, 0xc0
        cmp     al, 0xc0
        jne     fail
        clc
        ret

; How many of 256 bytes sent to itself are kept: 16.
probe_fifo_size:
        mov     dx, MCR
        mov     al, 0x13
        out     dx, al
        mov     dx, FCR
        mov     al, 0x07
        out     dx, al
        mov     dx, THR
        mov     cx, 256
.send:
        mov     al, cl
        out     dx, al
        loop    .send
        xor     bx, bx
.count:
        mov     dx, LSR
        in      al, dx
        test    al, LSR_DR
        jz      .counted
        mov     dx, RBR
        in      al, dx
        inc     bx
        cmp     bx, 256
        jb      .count
.counted:
        mov     dx, FCR
        mov     al, 0x07
        out     dx, al
        mov     dx, MCR
        mov     al, 0
        out     dx, al
        cmp     bx, FIFO
        jne     fail
        clc
        ret

fail:
        stc
        ret

; ---- tables and texts ---------------------------------------------------------------------------------------

probes:
        dw      name_scratch, probe_scratch
        dw      name_ier, probe_ier
        dw      name_loopback, probe_loopback
        dw      name_fifo, probe_fifo
        dw      name_fifo_size, probe_fifo_size
probes_end:

commands:
        dw      cmd_help, do_help
        dw      cmd_flood, do_flood
        dw      cmd_poll, do_poll
        dw      cmd_burst, do_burst
        dw      cmd_sum, do_sum
        dw      cmd_reset, do_reset
        dw      cmd_halt, do_halt
commands_end:

cmd_help        db 'help', 0
cmd_flood       db 'flood', 0
cmd_poll        db 'poll', 0
cmd_burst       db 'burst', 0
cmd_sum         db 'sum', 0
cmd_reset       db 'reset', 0
cmd_halt        db 'halt', 0

name_scratch    db 'scratch register', 0
name_ier        db 'interrupt enable register', 0
name_loopback   db 'loopback', 0
name_fifo       db 'FIFO', 0
name_fifo_size  db 'FIFO of 16', 0

msg_banner      db 13, 10, 'Serial guest on ttyS0', 13, 10, 0
msg_probe       db '[boot] probing the port at 0x3f8', 13, 10, 0
msg_probe_line  db '[boot]   ', 0
msg_ok          db ': ok', 13, 10, 0
msg_bad         db ': NOT AS A 16550A', 13, 10, 0
msg_format      db '[boot] 115200 8n1, FIFO on, trigger level 8', 13, 10, 0
msg_interrupts  db '[boot] IRQ 4 at vector 0x24', 13, 10, 0
msg_ready       db '[boot] ready, `help` lists the commands', 13, 10, 0
msg_prompt      db '> ', 0
msg_newline     db 13, 10, 0
msg_rubout      db 8, ' ', 8, 0
msg_break       db 13, 10, '[break]', 13, 10, 0
msg_unknown     db 'unknown command, `help` lists them', 13, 10, 0
msg_number      db 'a number of bytes is needed, at most 999999999', 13, 10, 0
msg_sum         db 'sum ', 0
msg_of          db ' of ', 0
msg_bytes_end   db ' bytes', 13, 10, 0
msg_flood       db 13, 10, 'sent ', 0
msg_reset       db 'reset', 13, 10, 0
msg_halt        db 'power off', 13, 10, 0
msg_help        db 'flood N   N bytes in numbered lines of 64, by interrupt', 13, 10
                db 'poll N    the same by polling, 16 bytes for each look at LSR', 13, 10
                db 'burst N   the same by string I/O, 16 bytes an instruction', 13, 10
                db 'sum       the sum (as `sum -r`) of the lines typed since the last `sum`', 13, 10
                db '# ...     nothing; only counts for `sum`', 13, 10
                db 'reset     reset the machine', 13, 10
                db 'halt      switch it off', 13, 10, 0

flood_text      db '00000000 ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.', 13, 10

; ---- variables: not in the image, cleared at start ----------------------------------------------------------

variables       equ     0x4000
        absolute variables
ier             resb    1
breaks          resb    1       ; received and not yet reported
last_byte       resb    1
line_len        resb    1
rx_head         resb    1
rx_tail         resb    1
tx_head         resb    1
tx_tail         resb    1
typed_sum       resw    1
typed_count     resd    1
flood_way       resw    1
flood_count     resd    1
line            resb    LINE_MAX + 1
rx_ring         resb    RING
tx_ring         resb    RING
variables_end:
