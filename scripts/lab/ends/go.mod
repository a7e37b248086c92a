module kttun.test/lab/ends

go 1.24
